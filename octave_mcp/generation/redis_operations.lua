-- The ledger's operations, each of which is atomic as Redis runs one script at a time. See `Ledger`.
--
-- KEYS[1] is the namespace: every key begins with it, and its braces keep all of them in one slot of a cluster.
-- Times are text of seconds to the microsecond: what Lua and Redis print of a number themselves has fewer digits.
-- Nothing here is given a time to live, so that a Redis that evicts what has one evicts nothing of this.

local VERSION, LEASE, RETENTION = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local RIVAL, DAY = tonumber(ARGV[4]), tonumber(ARGV[5])
local MAX_SETTLED, MAX_UNREADABLE, MAX_FORGOTTEN = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local operation, owner, number = ARGV[9], ARGV[11], tonumber(ARGV[12])
local next_argument = 13

local function argument()
  next_argument = next_argument + 1
  return ARGV[next_argument - 1]
end

local function arguments()
  local list = {}
  for place = 1, tonumber(argument()) do
    list[place] = argument()
  end
  return list
end

local function key(...)
  return table.concat({KEYS[1], ...}, ':')
end

local function of_tenant(kind, tenant, ...) -- its length keeps one tenant's keys from being another's
  return key(kind, #tenant, tenant, ...)
end

local function text(time)
  return string.format('%.6f', time)
end

local function clock()
  if ARGV[10] ~= '' then
    return tonumber(ARGV[10])
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local now = clock()

local COLUMNS = {
  'tenant', 'name', 'state', 'owner', 'created_at', 'sent_at', 'settled_at', 'handed_over_at', 'outcome',
}
local INTERNAL = {'fingerprint', 'seq', 'fence', 'adopted_by'}

-- Items and their indexes -----------------------------------------------------------------------------------------

local function get(id) -- nil where there is none
  local item = {}
  for _, columns in ipairs({COLUMNS, INTERNAL}) do
    for place, value in ipairs(redis.call('HMGET', key('item', id), unpack(columns))) do
      item[columns[place]] = value
    end
  end
  return item.state and item or nil
end

local function is_live(item)
  return item.state == 'queued' or item.state == 'sent'
end

local function index(id, item)
  if is_live(item) then
    redis.call('SADD', key('live', item.owner), id)
  else
    redis.call('ZREM', key('leases'), id)
    redis.call('SREM', key('live', item.owner), id)
    redis.call('ZADD', key('settled'), item.settled_at, id)
    redis.call('ZADD', of_tenant('settled', item.tenant), item.seq, id)
  end
  if item.name then
    if item.sent_at and (item.state == 'sent' or item.state == 'unknown') then
      redis.call('ZADD', key('named', item.name), item.state == 'sent' and '+inf' or item.sent_at, id)
    else
      redis.call('ZREM', key('named', item.name), id)
    end
  end
  if item.state == 'unknown' or not item.handed_over_at then
    redis.call('ZADD', of_tenant('open', item.tenant), item.seq, id)
  else
    redis.call('ZREM', of_tenant('open', item.tenant), id)
  end
  if item.state == 'failed' then
    redis.call('ZREM', of_tenant('bought', item.tenant), id)
  end
end

local function change(id, item, changes)
  for field, value in pairs(changes) do
    item[field] = value
    if value then
      redis.call('HSET', key('item', id), field, value)
    else
      redis.call('HDEL', key('item', id), field)
    end
  end
  index(id, item)
end

local function lease(id)
  redis.call('ZADD', key('leases'), text(now + LEASE), id)
end

local function end_of(id, item)
  change(id, item, {state = item.state == 'sent' and 'unknown' or 'failed', settled_at = text(now)})
end

local function still_asked_for(id)
  for _, generation in ipairs(redis.call('ZRANGE', key('generations', id), 0, -1)) do
    local found = redis.call('HMGET', key('generation', generation), 'tenant', 'given_up')
    if found[1] and not found[2] then
      return true
    end
  end
  return false
end

local function places(generation) -- of each place, its item and whether it was joined
  local list = {}
  for place, one in ipairs(redis.call('LRANGE', key('places', generation), 0, -1)) do
    list[place] = {id = string.sub(one, 2), joined = string.sub(one, 1, 1) == '1'}
  end
  return list
end

-- What every operation begins with ------------------------------------------------------------------------------------

local function end_what_ran_out()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('leases'), '-inf', '(' .. text(now))) do
    local item = get(id)
    if not item then
      redis.call('ZREM', key('leases'), id)
    elseif item.owner ~= owner then
      end_of(id, item)
    end
  end
end

local function abandon(generation) -- its begin was given up, may have happened, and may yet arrive
  if redis.call('EXISTS', key('generation', generation)) == 0 then
    redis.call('ZADD', key('abandoned'), text(now), generation)
    return
  end
  redis.call('HSET', key('generation', generation), 'given_up', '1')
  for _, place in ipairs(places(generation)) do
    local item = not place.joined and get(place.id)
    if item and item.owner == owner and item.state == 'queued' then
      end_of(place.id, item)
    end
  end
end

-- Reading -------------------------------------------------------------------------------------------------------------

local function row(id)
  local values = redis.call('HMGET', key('item', id), unpack(COLUMNS))
  table.insert(values, 1, id)
  return values
end

local function record(generation, created_at) -- nil where a part of it was lost
  local found = {generation, created_at}
  for _, place in ipairs(places(generation)) do
    local values = row(place.id)
    if not values[4] then
      return nil
    end
    table.insert(found, {place.joined and '1' or '0', values})
  end
  return found
end

-- Forgetting ----------------------------------------------------------------------------------------------------------

local function forget(id)
  for _, generation in ipairs(redis.call('ZRANGE', key('generations', id), 0, -1)) do
    redis.call('LREM', key('places', generation), 0, '0' .. id)
    redis.call('LREM', key('places', generation), 0, '1' .. id)
    local left = false
    for _, place in ipairs(places(generation)) do
      left = left or redis.call('EXISTS', key('item', place.id)) == 1
      if left then
        break
      end
    end
    if not left then
      redis.call('DEL', key('generation', generation), key('places', generation))
    end
  end
  for _, oid in ipairs(redis.call('SMEMBERS', key('claimed', id))) do
    redis.call('HDEL', key('claims'), oid)
  end
  local item = get(id)
  if item then
    redis.call('ZREM', of_tenant('wish', item.tenant, item.fingerprint), id)
    redis.call('ZREM', of_tenant('settled', item.tenant), id)
    redis.call('ZREM', of_tenant('open', item.tenant), id)
    redis.call('ZREM', of_tenant('bought', item.tenant), id)
    if item.name then
      redis.call('ZREM', key('named', item.name), id)
    end
  end
  redis.call('ZREM', key('settled'), id)
  redis.call('ZREM', key('unreadable'), id)
  redis.call('DEL', key('item', id), key('generations', id), key('claimed', id))
end

local function keep_to_the_bounds(tenant)
  local before = '(' .. text(now - RETENTION)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('settled'), '-inf', before, 'LIMIT', 0, MAX_FORGOTTEN)) do
    forget(id)
  end
  local of_it = of_tenant('settled', tenant)
  local more = math.min(redis.call('ZCARD', of_it) - MAX_SETTLED, MAX_FORGOTTEN)
  for _, id in ipairs(more > 0 and redis.call('ZRANGE', of_it, 0, more - 1) or {}) do
    forget(id)
    redis.call('ZREM', of_it, id) -- also where its item was lost
  end
  more = math.min(redis.call('ZCARD', key('unreadable')) - MAX_UNREADABLE, MAX_FORGOTTEN)
  for _, id in ipairs(more > 0 and redis.call('ZRANGE', key('unreadable'), 0, more - 1) or {}) do
    redis.call('HDEL', key('item', id), 'unreadable')
    redis.call('ZREM', key('unreadable'), id)
  end
  redis.call('ZREMRANGEBYSCORE', key('abandoned'), '-inf', text(now - DAY))
end

-- The operations ------------------------------------------------------------------------------------------------------

local function is_retried(id, wanted) -- see `sqlite_operations._is_retried`
  local most, retried = -1, nil
  for _, generation in ipairs(redis.call('ZREVRANGE', key('generations', id), 0, -1)) do
    local asked, got, common = {}, {}, 0
    for _, place in ipairs(places(generation)) do
      local item = get(place.id)
      if item then
        if wanted[item.fingerprint] and not asked[item.fingerprint] then
          common = common + 1
        end
        asked[item.fingerprint] = true
        if item.state == 'done' and item.handed_over_at then
          got[item.fingerprint] = true
        end
      end
    end
    if common > most then
      most, retried = common, {asked = asked, got = got}
    end
  end
  local function has_all(some)
    for fingerprint in pairs(some) do
      if not retried.got[fingerprint] then
        return false
      end
    end
    return true
  end
  return retried ~= nil and not has_all(retried.asked) and not has_all(wanted)
end

local function to_join(tenant, fingerprint, since, wanted)
  local newest, newest_id
  for place, id in ipairs(redis.call('ZREVRANGE', of_tenant('wish', tenant, fingerprint), 0, -1)) do
    local item = get(id)
    if item and (is_live(item) or (item.settled_at and tonumber(item.settled_at) >= since)) then
      if is_live(item) or (item.state == 'done' and not item.handed_over_at) then
        return id
      end
      if place == 1 then
        newest, newest_id = item, id
      end
    end
  end
  if not newest or newest.state == 'failed' then
    return nil
  end
  if not newest.handed_over_at or (newest.state == 'done' and is_retried(newest_id, wanted)) then
    return newest_id
  end
  return nil
end

local operations = {}

function operations.begin()
  local generation, tenant, since, limit = argument(), argument(), now - tonumber(argument()), tonumber(argument())
  local created_at = redis.call('HGET', key('generation', generation), 'created_at')
  if created_at then -- this very call, sent again
    return {'ok', record(generation, created_at) or 'lost'}
  end
  if redis.call('ZSCORE', key('abandoned'), generation) then
    return {'abandoned'}
  end
  keep_to_the_bounds(tenant)
  local wishes, wanted, new = {}, {}, 0
  for place = 1, tonumber(argument()) do
    wishes[place] = {id = argument(), fingerprint = argument(), is_named = argument() == '1', name = argument()}
    wanted[wishes[place].fingerprint] = true
  end
  for _, wish in ipairs(wishes) do
    wish.joined = to_join(tenant, wish.fingerprint, since, wanted)
    new = new + (wish.joined and 0 or 1)
  end
  if limit and new > 0 then
    local bought = redis.call('ZCOUNT', of_tenant('bought', tenant), '(' .. text(now - DAY), '+inf')
    if bought + new > limit then
      return {'limit', tostring(math.max(0, limit - bought))}
    end
  end
  if #wishes == 0 then -- nothing would ever remove it
    return {'ok', {generation, text(now)}}
  end
  local seq = redis.call('INCR', key('seq'))
  redis.call('HSET', key('generation', generation), 'tenant', tenant, 'created_at', text(now), 'seq', seq)
  for _, wish in ipairs(wishes) do
    local id = wish.joined or wish.id
    if not wish.joined then
      local item = {
        tenant = tenant, fingerprint = wish.fingerprint, name = wish.is_named and wish.name, state = 'queued',
        owner = owner, created_at = text(now), seq = redis.call('INCR', key('seq')),
      }
      change(id, item, {
        tenant = item.tenant, fingerprint = item.fingerprint, name = item.name, state = item.state,
        owner = item.owner, created_at = item.created_at, seq = item.seq,
      })
      lease(id)
      redis.call('ZADD', of_tenant('wish', tenant, wish.fingerprint), item.seq, id)
      redis.call('ZADD', of_tenant('bought', tenant), item.created_at, id)
    end
    redis.call('RPUSH', key('places', generation), (wish.joined and '1' or '0') .. id)
    redis.call('ZADD', key('generations', id), seq, generation)
  end
  return {'ok', record(generation, text(now))}
end

-- The owner numbers its operations. One on an item that comes late, after a newer one, is none; one that comes again is
-- answered as it was.

function operations.mark_sent()
  local sent = {}
  for _, id in ipairs(arguments()) do
    local item = get(id)
    if item and item.owner == owner then
      local fence = tonumber(item.fence or 0)
      if item.state == 'queued' and number > fence then
        change(id, item, {state = 'sent', sent_at = text(now), fence = ARGV[12]})
        lease(id)
        table.insert(sent, id)
      elseif item.state == 'sent' and number == fence then
        table.insert(sent, id)
      end
    end
  end
  return {'ok', sent}
end

function operations.requeue()
  for _, id in ipairs(arguments()) do
    local item = get(id)
    if item and item.owner == owner and item.state == 'sent' and number > tonumber(item.fence or 0) then
      if still_asked_for(id) then
        change(id, item, {state = 'queued', sent_at = false, fence = ARGV[12]})
      else
        change(id, item, {state = 'failed', sent_at = false, settled_at = text(now), fence = ARGV[12]})
      end
    end
  end
  return {'ok'}
end

function operations.settle()
  local id, state, outcome, is_unreadable, unreadable = argument(), argument(), argument(), argument(), argument()
  local item = get(id)
  if not item then
    return {'missing'}
  end
  if item.owner ~= owner or number <= tonumber(item.fence or 0) or not (is_live(item) or item.state == 'unknown') then
    return {'ok'}
  end
  change(id, item, {
    state = state, outcome = outcome, settled_at = text(now), handed_over_at = false, fence = ARGV[12],
  })
  if is_unreadable == '1' then
    redis.call('HSET', key('item', id), 'unreadable', unreadable)
    redis.call('ZADD', key('unreadable'), item.seq, id)
  else
    redis.call('HDEL', key('item', id), 'unreadable')
    redis.call('ZREM', key('unreadable'), id)
  end
  for _, oid in ipairs(arguments()) do
    if redis.call('HSETNX', key('claims'), oid, id) == 1 then
      redis.call('SADD', key('claimed', id), oid)
    end
  end
  return {'ok'}
end

function operations.adopt()
  local id, call = argument(), owner .. ':' .. ARGV[12]
  local item = get(id)
  if not item or not item.sent_at then
    return {'ok', '0'}
  end
  if item.adopted_by == call then -- this very call, sent again
    return {'ok', '1'}
  end
  if item.state ~= 'unknown' and (item.state ~= 'sent' or item.owner ~= owner) then
    return {'ok', '0'}
  end
  local unclaimed, its_oid, its_outcome = 0, nil, nil
  for _ = 1, tonumber(argument()) do
    local oid, outcome = argument(), argument()
    if redis.call('HEXISTS', key('claims'), oid) == 0 then
      unclaimed, its_oid, its_outcome = unclaimed + 1, oid, outcome
    end
  end
  -- Of all tenants: two keys may be of one workspace, and who is taken for a rival wrongly only stays unknown.
  local since = '(' .. text(tonumber(item.sent_at) - RIVAL)
  local with_it = item.name and redis.call('ZCOUNT', key('named', item.name), since, '+inf') or 1
  if unclaimed ~= 1 or with_it > 1 then
    return {'ok', '0'}
  end
  redis.call('HSET', key('claims'), its_oid, id)
  redis.call('SADD', key('claimed', id), its_oid)
  change(id, item, {
    state = 'done', outcome = its_outcome, settled_at = text(now), handed_over_at = false, adopted_by = call,
  })
  return {'ok', '1'}
end

function operations.generation()
  local tenant, generation = argument(), argument()
  local found = redis.call('HMGET', key('generation', generation), 'tenant', 'created_at')
  if found[1] ~= tenant then
    return {'ok', false}
  end
  return {'ok', record(generation, found[2]) or 'lost'}
end

function operations.uncollected()
  local tenant = argument()
  local known, found = {}, {}
  for _, id in ipairs(redis.call('ZRANGE', of_tenant('open', tenant), 0, -1)) do
    for _, generation in ipairs(redis.call('ZRANGE', key('generations', id), 0, -1)) do
      local values = redis.call('HMGET', key('generation', generation), 'tenant', 'created_at', 'seq')
      if values[1] == tenant and not known[generation] then
        known[generation] = true
        table.insert(found, {id = generation, created_at = values[2], seq = tonumber(values[3])})
      end
    end
  end
  table.sort(found, function(one, other) return one.seq > other.seq end)
  for place, generation in ipairs(found) do
    found[place] = record(generation.id, generation.created_at) or 'lost'
  end
  return {'ok', found}
end

function operations.unknown()
  local tenant, found = argument(), {}
  for _, fingerprint in ipairs(arguments()) do
    local id = redis.call('ZREVRANGE', of_tenant('wish', tenant, fingerprint), 0, 0)[1]
    local values = id and row(id)
    if values and values[4] == 'unknown' then
      table.insert(found, values)
    end
  end
  return {'ok', found}
end

function operations.hand_over()
  for _ = 1, tonumber(argument()) do
    local id, state = argument(), argument()
    local item = get(id)
    if item and item.state == state and not item.handed_over_at then
      change(id, item, {handed_over_at = text(now)})
    end
  end
  return {'ok'}
end

local function give_up(ids, applies)
  for _, id in ipairs(ids) do
    local item = get(id)
    if item and item.owner == owner and item.state == 'queued' and applies(id) then
      end_of(id, item)
    end
  end
  return {'ok'}
end

function operations.give_up()
  local generation, ids = argument(), {}
  if redis.call('EXISTS', key('generation', generation)) == 1 then
    redis.call('HSET', key('generation', generation), 'given_up', '1')
  end
  for place, one in ipairs(places(generation)) do
    ids[place] = one.id
  end
  return give_up(ids, function(id) return not still_asked_for(id) end)
end

function operations.give_up_queued()
  return give_up(redis.call('SMEMBERS', key('live', owner)), function() return true end)
end

function operations.renew()
  for _, id in ipairs(redis.call('SMEMBERS', key('live', owner))) do
    if get(id) then
      lease(id)
    else
      redis.call('SREM', key('live', owner), id)
      redis.call('ZREM', key('leases'), id)
    end
  end
  return {'ok'}
end

function operations.close()
  for _, id in ipairs(redis.call('SMEMBERS', key('live', owner))) do
    local item = get(id)
    if item then
      end_of(id, item)
    end
  end
  redis.call('DEL', key('live', owner))
  return {'ok'}
end

function operations.check()
  return {'ok'}
end

local version = redis.call('GET', key('version'))
if version and version ~= VERSION then
  return {'version'}
end
if operation == 'begin' or operation == 'mark_sent' or operation == 'settle' or operation == 'check' then
  -- A write, whatever else is: a Redis that is full, or a replica, refuses before anything is half done; and a repeated
  -- operation has something of its own for WAIT to wait for.
  redis.call('SET', key('version'), VERSION)
end
end_what_ran_out()
for _, generation in ipairs(arguments()) do
  abandon(generation)
end
return operations[operation]()
