// What the package exports: its definition, and its name with its options in the types of whoever imports it.
import { CACHE_ERR_OPTION, defineBackend } from 'fastify-response-cache'
import { JsonFile } from './json-file.js'

export interface JsonFileOptions {
  /** The path of the file. */
  path: string
}

declare module 'fastify-response-cache' {
  interface BackendOptions { 'json-file': JsonFileOptions }
}

export default defineBackend<JsonFileOptions>({
  name: 'json-file',
  create ({ path }, { now }) {
    if (typeof path !== 'string' || path === '') throw new CACHE_ERR_OPTION('json-file.path', 'a path', String(path))
    return new JsonFile(path, now)
  }
})
