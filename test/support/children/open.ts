// The kit's child processes open this backend. `where` is the choice, as JSON.
import { builtIns } from '../../../backends/index.js'
import type { BackendChoice } from '../../../registry/names.js'

export const open = (where: string) => builtIns().open(JSON.parse(where) as BackendChoice)
