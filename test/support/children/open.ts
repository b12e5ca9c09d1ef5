// A backend by the choice that `where` is, as JSON: what the kit's child processes open.
import { builtIns } from '../../../backends/index.js'
import type { BackendChoice } from '../../../registry/names.js'

export const open = (where: string) => builtIns().open(JSON.parse(where) as BackendChoice)
