// Which options belong to which backend name, as types that other packages extend by declaration merging.

/**
 * The options of each backend name. A package that adds a backend adds its name here:
 * `declare module 'fastify-response-cache' { interface BackendOptions { dynamo: DynamoOptions } }`
 */
export interface BackendOptions {}

/** The name of a backend that the types know. */
export type BackendName = Extract<keyof BackendOptions, string>

/** A backend by name, with its options. They may be left out if each has a default. */
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
