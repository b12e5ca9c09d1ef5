// The SQLite backend: it stores entries in one table, with better-sqlite3. Reads are synchronous; writes are gathered into transactions.
import { defineBackend } from '../registry/registry.js'
import { SqliteBackend } from './sqlite/backend.js'
import { driverVersion, driverWarning, loadDriver } from './sqlite/driver.js'
import { readOptions, type SqliteOptions } from './sqlite/options.js'

export {
  SQLITE_CLEANUP_INTERVAL_MS, SQLITE_MAX_BYTES, SQLITE_PATH, SQLITE_TABLE, type LentDatabase, type SqliteOptions
} from './sqlite/options.js'

export default defineBackend<SqliteOptions>({
  name: 'sqlite',
  async create (options, context) {
    const settings = readOptions(options)
    const warning = driverWarning(driverVersion(), process.versions.node)
    if (warning !== undefined) context.log.warn({ backend: 'sqlite' }, warning)
    return await SqliteBackend.open(settings, settings.database === undefined ? await loadDriver() : undefined, context)
  }
})
