// The SQLite backend. (to come)
import { defineBackend } from '../registry/registry.js'
export interface SqliteOptions { path?: string }
export default defineBackend<SqliteOptions>({ name: 'sqlite', create () { throw new Error('to come') } })
