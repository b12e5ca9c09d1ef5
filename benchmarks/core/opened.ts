// Opens a backend of the registry as the subject of a measurement.
import { builtIns, type BackendChoice, type BackendDefinition, type Registry, type StoredEntry } from 'fastify-response-cache'
import { LIFE_MS, type Subject } from './subject.js'

/** A backend, given by a name that the registry knows, or by a module and a name for it. */
export interface BackendSource {
  readonly backend: string
  readonly options: object
  /** The URL of a module. Its default export is the result of `defineBackend`. */
  readonly moduleUrl?: string
}

/** Returns a registry that knows the backend. */
export function registryFor ({ backend, moduleUrl }: BackendSource): Registry {
  const registry = builtIns()
  if (moduleUrl === undefined) return registry
  return registry.add(backend as never, async () => (await import(moduleUrl) as { default: BackendDefinition }).default)
}

/** Opens a backend. A module in a `SubjectChoice` must export this function. */
export async function open (source: BackendSource): Promise<Subject> {
  const backend = await registryFor(source).open({ backend: source.backend, options: source.options } as BackendChoice)
  return {
    get: (key) => backend.get(key),
    set: (key, value) => backend.set(key, { value, expiresAt: Date.now() + LIFE_MS }),
    delete: (key) => backend.delete(key),
    bytesOf: (found) => (found as StoredEntry).value,
    async storedBytes () { return (await backend.stats?.())?.bytes },
    close: () => backend.close()
  }
}
