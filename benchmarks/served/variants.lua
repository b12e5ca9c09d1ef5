-- Three clients, each with a language of its own, in turn.
local languages = { 'en', 'de', 'fr' }
local number = 0
function request ()
  number = number + 1
  return wrk.format('GET', nil, { ['Accept-Language'] = languages[number % 3 + 1] })
end
