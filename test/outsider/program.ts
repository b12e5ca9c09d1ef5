// The backend for a process of its own, on the system's clock: what the kit starts and kills.
import { JsonFile } from './json-file.js'

export const open = (path: string): JsonFile => new JsonFile(path, Date.now)
