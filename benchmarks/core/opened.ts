// A backend of the registry as the subject of a measurement.
import { builtIns, type BackendChoice, type BackendDefinition, type Registry, type StoredEntry } from 'fastify-response-cache'
import { LIFE_MS, type Subject } from './subject.js'

/** A backend: a name of the registry, or a module for a name that the registry doesn't know. */
export interface BackendSource {
  readonly backend: string
  readonly options: object
  /** URL of a module whose default export `defineBackend` made. */
  readonly moduleUrl?: string
}

/** A registry that knows the backend. */
export function registryFor ({ backend, moduleUrl }: BackendSource): Registry {
  const registry = builtIns()
  if (moduleUrl === undefined) return registry
  return registry.add(backend as never, async () => (await import(moduleUrl) as { default: BackendDefinition }).default)
}

/** The function that `SubjectChoice` requires. */
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
