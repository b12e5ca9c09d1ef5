// Names are types: which options belong to which backend name, open to other packages by declaration merging.

/**
 * Backend name to its options. A package that adds a backend adds its name here:
 * `declare module 'fastify-response-cache' { interface BackendOptions { dynamo: DynamoOptions } }`
 */
export interface BackendOptions {}

/** The name of a backend that the types know. */
export type BackendName = Extract<keyof BackendOptions, string>

/** A backend by name with that backend's own options; the name alone is enough where every option has a default. */
export type BackendChoice<Name extends BackendName = BackendName> = {
  [N in Name]: {} extends BackendOptions[N]
    ? {
        /** The backend's name. */
        readonly backend: N
        /** Its own options, each of which has a default. */
        readonly options?: BackendOptions[N]
      }
    : {
        /** The backend's name. */
        readonly backend: N
        /** Its own options. */
        readonly options: BackendOptions[N]
      }
}[Name]
