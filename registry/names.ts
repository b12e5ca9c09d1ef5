// The types that say which options belong to which backend name. Other packages extend them by declaration merging.

/**
 * The options of each backend, under the backend's name. A package that adds a backend adds the name here:
 * `declare module 'fastify-response-cache' { interface BackendOptions { dynamo: DynamoOptions } }`
 */
export interface BackendOptions {}

/** The name of a backend in `BackendOptions`. */
export type BackendName = Extract<keyof BackendOptions, string>

/** A backend's name with its options. The options may be left out if each of them has a default. */
export type BackendChoice<Name extends BackendName = BackendName> = {
  [N in Name]: {} extends BackendOptions[N]
    ? {
        /** The backend's name. */
        readonly backend: N
        /** The backend's own options, each of which has a default. */
        readonly options?: BackendOptions[N]
      }
    : {
        /** The backend's name. */
        readonly backend: N
        /** The backend's own options. */
        readonly options: BackendOptions[N]
      }
}[Name]
