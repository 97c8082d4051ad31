// What the build puts in place of this name: the sections, as octave_mcp/octave/sections.py declares them.
declare const BUILT_SECTIONS: import("./personas.js").Section[];
