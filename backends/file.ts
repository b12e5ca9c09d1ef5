// The file backend: it stores each entry as one file in a private folder.
import { defineBackend } from '../registry/registry.js'
import { FileBackend } from './file/backend.js'
import { readOptions, type FileOptions } from './file/options.js'

export { FILE_CLEANUP_INTERVAL_MS, FILE_DIR, FILE_FSYNC, FILE_MAX_BYTES, type FileOptions } from './file/options.js'

export default defineBackend<FileOptions>({
  name: 'file',
  create: (options, context) => new FileBackend(readOptions(options), context)
})
