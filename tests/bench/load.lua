-- The load for wrk: reads of one state, or uploads to many workspaces one after another.
--
-- Arguments after "--": read AUTHORIZATION PATH, or write AUTHORIZATION TEMPLATE WORKSPACES SERIAL.
-- An upload raises the serial and changes one attribute of one of six resources. Uploads to one
-- workspace are so many requests apart that they arrive in the order of their serials.

local RESOURCES = 6

local template, workspaces, serial
local count, head, tail = 0, "", ""

function init(args)
  local kind, authorization = args[1], args[2]
  if authorization ~= "" then
    wrk.headers["Authorization"] = authorization
  end
  if kind == "read" then
    wrk.path = args[3]
    return
  end
  local file = assert(io.open(args[3]))
  template = file:read("*a")
  file:close()
  workspaces, serial = tonumber(args[4]), tonumber(args[5])
  wrk.headers["Content-Type"] = "application/json"
  request = upload
end

-- Once for each lap through the workspaces: all but the lineage is the same in all of them.
local function next_lap()
  serial = serial + 1
  local values = { SERIAL = string.format("%d", serial) }
  for resource = 0, RESOURCES - 1 do
    local changed_at = serial - (serial - resource) % RESOURCES
    values[tostring(resource)] = string.format("%032d", changed_at)
  end
  local text = template:gsub("@(%w+)@", values)
  local from, to = text:find("@LINEAGE@", 1, true)
  head, tail = text:sub(1, from - 1), text:sub(to + 1)
end

function upload()
  local workspace = count % workspaces
  if workspace == 0 then
    next_lap()
  end
  count = count + 1
  local lineage = string.format("00000000-0000-4000-8000-%012d", workspace)
  return wrk.format("POST", "/state/bench/w" .. workspace, nil, head .. lineage .. tail)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'result {"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %d, "p99": %d}\n',
    summary.requests,
    summary.duration,
    errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
