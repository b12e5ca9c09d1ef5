// What --help prints.
import { ENTRIES, HIT_RATIO, IN_FLIGHT, QUICK_SECONDS, SECONDS, SIZES, VALUE_BYTES } from './arguments.js'

export const HELP = `cache-bench measures backends of fastify-response-cache.

  npx cache-bench --backend memory --backend sqlite
  npx cache-bench --backend sqlite --options '{"path":":memory:"}' --name in-memory
  npx cache-bench --backend memory --module ./my-backend.js --name mine --chart mine.svg
  npx cache-bench --backend redis --options '{"url":"redis://127.0.0.1:6379"}'

Several backends take turns in one run: what slows the machine slows all of them, and their ratios are what counts.

  --backend <name>       a built-in backend; may be given several times
  --module <path>        a module whose default export is made with defineBackend
  --options <JSON>       options of the backend before it
  --name <name>          what that is called in the report
  --seconds <number>     for each backend, about (${SECONDS})
  --quick                ${QUICK_SECONDS} seconds
  --entries <number>     how many are kept, at most: a slow backend gets fewer (${ENTRIES})
  --value-bytes <number> the size of a value (${VALUE_BYTES})
  --sizes <list>         sizes that are compared (${SIZES.join(',')})
  --in-flight <number>   operations under way at once (${IN_FLIGHT})
  --hit-ratio <number>   for the break-even (${HIT_RATIO})
  --json [file]          the report as JSON, into a file or in place of the tables
  --against <file>       compares with a report that --json wrote
  --chart <file.svg>     draws the report
  --help

Backends that keep files get a folder for temporary files unless their options name a place. 'redis' needs
--options '{"url":"..."}', 'http' --options '{"baseUrl":"..."}', 'tiered' --options '{"tiers":[...]}'. In a store
that you name, only what was written here is deleted; what can't be ends after 15 minutes.

Exit codes: 0, 1 when a backend failed, 2 when something asked for can't be done, 128 and more when stopped by a signal.`
