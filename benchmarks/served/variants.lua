-- Three clients with different languages take turns.
local languages = { 'en', 'de', 'fr' }
local number = 0
function request ()
  number = number + 1
  return wrk.format('GET', nil, { ['Accept-Language'] = languages[number % 3 + 1] })
end
