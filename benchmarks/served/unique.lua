-- Every request is for another URL.
local number = 0
function request ()
  number = number + 1
  return wrk.format('GET', '/item/' .. number)
end
