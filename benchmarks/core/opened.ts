// A backend of the registry as the subject of a measurement.
import { builtIns, type BackendChoice, type BackendDefinition, type Registry, type StoredEntry } from 'fastify-response-cache'
import { LIFE_MS, type Subject } from './subject.js'

/** Which backend: one of the registry's names, or the module of one that isn't there. */
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

/** The subject that `SubjectChoice` asks for. */
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
