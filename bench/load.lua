-- What wrk asks for: GET or PUT of a random key of a node, or PUT by etcd's HTTP gateway, which takes JSON with keys and values in
-- base64. Told in the environment: WHAT (get, put, etcd), KEYS, QUERY (behind the path), and NODES (host:port, …), of which each
-- thread asks one. Prints one line of JSON.

local what, count, query = os.getenv("WHAT"), tonumber(os.getenv("KEYS")), os.getenv("QUERY")
local value = string.rep("v", 32)
local requests = {}
local threads = 0

function setup(thread)
   local nodes = {}
   for host, port in os.getenv("NODES"):gmatch("([^,:]+):(%d+)") do
      nodes[#nodes + 1] = wrk.lookup(host, port)[1]
   end
   thread.addr = nodes[threads % #nodes + 1]
   threads = threads + 1
   thread:set("number", threads)
end

local function base64(text)
   local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
   local function group(three)
      local a, b, c = three:byte(1, 3)
      local bits = a * 65536 + (b or 0) * 256 + (c or 0)
      local out = ""
      for place = 3, 0, -1 do
         local digit = math.floor(bits / 64 ^ place) % 64 + 1
         out = out .. digits:sub(digit, digit)
      end
      return c and out or b and out:sub(1, 3) .. "=" or out:sub(1, 2) .. "=="
   end
   return (text:gsub("..?.?", group))
end

local function make(key)
   if what == "get" then
      return wrk.format("GET", "/kv-store/keys/" .. key .. query)
   end
   local headers = { ["Content-Type"] = "application/json" }
   if what == "put" then
      return wrk.format("PUT", "/kv-store/keys/" .. key .. query, headers, '{"value":"' .. value .. '"}')
   end
   local body = '{"key":"' .. base64(key) .. '","value":"' .. base64(value) .. '"}'
   return wrk.format("POST", "/v3/kv/put", headers, body)
end

function init()
   math.randomseed(number)
   for at = 1, count do
      requests[at] = make(string.format("key-%012d", at - 1))
   end
end

function request()
   return requests[math.random(count)]
end

function done(summary, latency)
   local failed = summary.errors
   local form = '{"requests":%d,"requests_per_second":%.1f,"errors":%d,"p50":%.3f,"p99":%.3f,"max":%.3f}\n'
   io.write(form:format(
      summary.requests,
      summary.requests / summary.duration * 1e6,
      failed.connect + failed.read + failed.write + failed.status + failed.timeout,
      latency:percentile(50) / 1000,
      latency:percentile(99) / 1000,
      latency.max / 1000
   ))
end
