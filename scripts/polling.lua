-- A job that takes its time: begun by one request, asked for again and again until it is done, measured as a whole.
--
--     lunamoth run scripts/polling.lua

local group, http, scenario, time, wait = require "group", require "http", require "scenario", require "time", require "wait"

local Client = scenario.user { name = "Client", wait = wait.constant(0.2) }

Client:task("run a job", function()
  group("job", function()
    local job = http.post("/jobs", { expect = { status = 202 } }):must():json("url")
    local deadline = time.now() + 10
    while http.get(job):must():json("state") ~= "done" do
      if time.now() > deadline then error("the job is not done after ten seconds") end
      time.sleep("100ms")
    end
  end)
end)

return scenario {
  host = "builtin:shop",
  users = { Client },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "3s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, exceptions = { "count < 1" } },
}
