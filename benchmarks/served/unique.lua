-- Every request has a new URL, in every run of wrk.
local run = os.time()
local number = 0
function request ()
  number = number + 1
  return wrk.format('GET', '/item/' .. run .. '-' .. number)
end
