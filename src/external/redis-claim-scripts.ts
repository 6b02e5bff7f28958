import { CLAIM_KEY, OWNER_KEY } from '../internal/names.ts'

// Each script runs atomically, so no other run can act between the check of a database and its change. ARGV[1] is the
// run's id. After a SELECT, each script selects database 0 again.

const KEYS_OF = `
local run = ARGV[1]
local function claim_of(n) return '${CLAIM_KEY}' .. n end
local function owner_of(n) return '${OWNER_KEY}' .. n end
local function flush(n) redis.call('SELECT', n); redis.call('FLUSHDB'); redis.call('SELECT', 0) end
local function take(n, ms)
  redis.call('SET', claim_of(n), run, 'PX', ms)
  redis.call('SET', owner_of(n), run)
end
`

/**
 * Claims empty databases. Arguments: claim duration in ms, number at which the search starts, number of databases,
 * number to claim. Returns the claimed databases, or none if there are too few.
 */
export const CLAIM = `${KEYS_OF}
local others, wanted = tonumber(ARGV[4]) - 1, tonumber(ARGV[5])
local found = {}
for step = 1, others do
  local n = (tonumber(ARGV[3]) + step) % others + 1
  if redis.call('EXISTS', claim_of(n), owner_of(n)) == 0 and not redis.pcall('SELECT', n).err then
    if redis.call('DBSIZE') == 0 then found[#found + 1] = n end
    redis.call('SELECT', 0)
    if #found == wanted then
      for _, free in ipairs(found) do take(free, ARGV[2]) end
      return found
    end
  end
end
return {}`

/**
 * Renews a claim. Arguments: claim duration in ms, database. Returns 1 if the run has the claim again, and 0 if another
 * run has taken it.
 */
export const RENEW = `${KEYS_OF}
local n = ARGV[3]
local claim, owner = redis.call('GET', claim_of(n)), redis.call('GET', owner_of(n))
if claim and claim ~= run or owner and owner ~= run then return 0 end
take(n, ARGV[2])
return 1`

/**
 * Empties a database. Argument: database. Returns 1 if the run had the claim and the database is now empty, otherwise
 * 0.
 */
export const FLUSH = `${KEYS_OF}
local n = ARGV[2]
local claim = redis.call('GET', claim_of(n))
if claim and claim ~= run or redis.call('GET', owner_of(n)) ~= run then return 0 end
flush(n)
return 1`

export const RELEASE = `${KEYS_OF}
local n = ARGV[2]
if redis.call('GET', owner_of(n)) ~= run then return 0 end
flush(n)
return redis.call('DEL', claim_of(n), owner_of(n))`

/**
 * Finds abandoned databases. Argument: number of databases. Returns the ids of runs that own a database but no longer
 * have a claim to it.
 */
export const FIND_LEFT = `${KEYS_OF}
local left = {}
for n = 1, tonumber(ARGV[2]) - 1 do
  local owner = redis.call('GET', owner_of(n))
  if owner and redis.call('EXISTS', claim_of(n)) == 0 then left[#left + 1] = owner end
end
return left`

/**
 * Empties the databases of ended runs that have no claim to them. Arguments: number of databases, ids of the ended
 * runs.
 */
export const SWEEP = `${KEYS_OF}
local over = {}
for index = 3, #ARGV do over[ARGV[index]] = true end
for n = 1, tonumber(ARGV[2]) - 1 do
  local owner = redis.call('GET', owner_of(n))
  if owner and over[owner] and redis.call('EXISTS', claim_of(n)) == 0 then
    flush(n)
    redis.call('DEL', owner_of(n))
  end
end
return 0`
