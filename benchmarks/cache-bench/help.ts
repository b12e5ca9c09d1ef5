// The text that --help prints.
import { ENTRIES, HIT_RATIO, IN_FLIGHT, QUICK_SECONDS, SECONDS, SIZES, VALUE_BYTES } from './arguments.js'

export const HELP = `cache-bench measures backends of fastify-response-cache.

  npx cache-bench --backend memory --backend sqlite
  npx cache-bench --backend sqlite --options '{"path":":memory:"}' --name in-memory
  npx cache-bench --backend memory --module ./my-backend.js --name mine --chart mine.svg
  npx cache-bench --backend redis --options '{"url":"redis://127.0.0.1:6379"}'

Several backends take turns in one run, so that a slow machine slows all of them. Compare their ratios.

  --backend <name>       a built-in backend; may be given several times
  --module <path>        a module whose default export was made with defineBackend
  --options <JSON>       options of the backend before it
  --name <name>          that backend's name in the report
  --seconds <number>     for each backend, about (${SECONDS})
  --quick                ${QUICK_SECONDS} seconds
  --entries <number>     the number of entries; a slow backend gets fewer (${ENTRIES})
  --value-bytes <number> the size of a value (${VALUE_BYTES})
  --sizes <list>         the value sizes to compare (${SIZES.join(',')})
  --in-flight <number>   concurrent operations (${IN_FLIGHT})
  --hit-ratio <number>   for the break-even (${HIT_RATIO})
  --json [file]          writes the report as JSON to a file, or prints it instead of the tables
  --against <file>       compares with a report that --json wrote
  --chart <file.svg>     draws the report
  --help

Backends that keep files get a temporary folder unless their options name a place. 'redis' needs
--options '{"url":"..."}', 'http' --options '{"baseUrl":"..."}', 'tiered' --options '{"tiers":[...]}'. In a store
that you name, only the entries of cache-bench are deleted; what can't be deleted expires after 15 minutes.

Exit codes: 0, 1 if a backend failed, 2 if the command line asks for something impossible, 128 and more if stopped by a signal.`
