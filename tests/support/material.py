"""Small real documents: what people keep notes in, written by a test."""

import io
import struct
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pptx
import xlsxwriter  # type: ignore[import-untyped]

INTERVIEW = "We lose two days a month to manual reconciliation, says the controller."
"""What every document says."""

_CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}'
    "</Relationships>"
)
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
_DOCUMENT = (
    '<?xml version="1.0"?>{doctype}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    f'xmlns:r="{_OFFICE}" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
    "<w:body><w:p><w:r><w:t>{text}</w:t></w:r>{more}</w:p></w:body></w:document>"
)
_LINKED_PICTURE = (
    "<w:r><w:drawing><wp:inline><wp:docPr id='1' name='p' descr='chart'/><a:graphic><a:graphicData><pic:pic>"
    "<pic:blipFill><a:blip r:link='r9'/></pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing>"
    "</w:r>"
)


def docx(text: str = INTERVIEW, *, doctype: str = "", picture: str = "", extra: int = 0) -> bytes:
    """Return a Word document; with a picture that is linked from an address, or so many zero bytes beside the text."""
    link = f'<Relationship Id="r9" Type="{_OFFICE}/image" Target="{picture}" TargetMode="External"/>'
    parts = {
        "[Content_Types].xml": _CONTENT_TYPES,
        "_rels/.rels": _RELATIONS.format(_MAIN),
        "word/document.xml": _DOCUMENT.format(doctype=doctype, text=text, more=_LINKED_PICTURE if picture else ""),
        "word/_rels/document.xml.rels": _RELATIONS.format(link if picture else ""),
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
        for number in range(extra // 2**24):
            archive.writestr(f"word/media/{number}.bin", bytes(2**24))
    return written.getvalue()


def pdf(text: str = INTERVIEW) -> bytes:
    """Return a PDF of one page with a line of text; of none, if the text is empty."""
    stream = f"BT /F1 9 Tf 20 700 Td ({text}) Tj ET".encode("latin-1") if text else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>"
        % b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, len(written))
    return written + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (size, table, end)


def workbook(text: str = INTERVIEW) -> bytes:
    """Return an Excel workbook with a table of two rows, of which one cell is empty."""
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        rows = (["role", "said", "since"], ["controller", text, None], ["buyer", "Prices change weekly.", 2024])
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return written.getvalue()


def presentation(text: str = INTERVIEW, title: str = "Findings") -> bytes:
    """Return a PowerPoint presentation of one slide."""
    written, slides = io.BytesIO(), pptx.Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text = title
    slide.shapes.add_textbox(0, 0, 914400, 914400).text_frame.text = text
    slides.save(written)
    return written.getvalue()


def email(text: str = INTERVIEW, *, subtype: str = "plain", attachment: str = "") -> bytes:
    """Return an e-mail, with an empty attachment of that name if there is one."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ada <ada@example.com>", "us@example.com", "After our call"
    message.set_content(text, subtype=subtype)
    if attachment:
        message.add_attachment(b"x", maintype="application", subtype="octet-stream", filename=attachment)
    return message.as_bytes()


_SECTOR, _STREAM = 512, 4096
"""Bytes of a sector of an Outlook file, and of its shortest stream that has sectors of its own."""


def outlook(text: str = INTERVIEW) -> bytes:
    """Return an Outlook message: a compound file with a stream each for sender, subject and body."""
    streams = {"0C1F001F": "ada@example.com", "0037001F": "After our call", "1000001F": text}
    each = _STREAM // _SECTOR
    end, free, none = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF
    table = [0xFFFFFFFD, 2, end]  # the table itself, then the two sectors of the directory
    for first in range(3, 3 + each * len(streams), each):
        table += [*range(first + 1, first + each), end]
    directory = _entry("Root Entry", 5, child=1, start=end, size=0)
    for number, name in enumerate(streams):
        right = number + 2 if number + 1 < len(streams) else none
        directory += _entry(f"__substg1.0_{name}", 2, right=right, start=3 + each * number, size=_STREAM)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<5H6x9I", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, _STREAM, end, 0, end, 0)
    header += struct.pack("<109I", 0, *[free] * 108)
    contents = b"".join(value.ljust(_STREAM // 2).encode("utf-16-le") for value in streams.values())
    sectors = struct.pack(f"<{_SECTOR // 4}I", *table, *[free] * (_SECTOR // 4 - len(table)))
    return header + sectors + directory.ljust(2 * _SECTOR, b"\0") + contents


def _entry(name: str, kind: int, *, start: int, size: int, right: int = 0xFFFFFFFF, child: int = 0xFFFFFFFF) -> bytes:
    encoded = name.encode("utf-16-le").ljust(64, b"\0")
    family = struct.pack("<3I", 0xFFFFFFFF, right, child)
    return (
        encoded + struct.pack("<HBB", 2 * len(name) + 2, kind, 1) + family + bytes(36) + struct.pack("<IQ", start, size)
    )


def make_folder(folder: Path) -> dict[str, bytes]:
    """Write a document of each format into a folder. Returns the content by name."""
    page = f"<html><head><title>Notes</title><style>p {{}}</style></head><body><p>{INTERVIEW}</p></body></html>"
    vtt = f"WEBVTT\n\nNOTE made by hand\n\n1\n00:00:01.000 --> 00:00:05.000 align:start\n<v Ada>{INTERVIEW}</v>\n"
    files = {
        "calls/controller.md": f"# Call\n\n{INTERVIEW}\n".encode(),
        "calls/controller.txt": INTERVIEW.encode("utf-16"),
        "calls/controller.vtt": vtt.encode(),
        "calls/controller.srt": f"1\n00:00:01,000 --> 00:00:05,000\n{INTERVIEW}\n".encode(),
        "survey.csv": f'role,said\ncontroller,"{INTERVIEW}"\n'.encode(),
        "survey.json": f'{{"controller": "{INTERVIEW}"}}'.encode(),
        "page.html": page.encode(),
        "mail.eml": email(),
        "mail.msg": outlook(),
        "report.pdf": pdf(),
        "report.docx": docx(),
        "report.pptx": presentation(),
        "report.xlsx": workbook(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return files
