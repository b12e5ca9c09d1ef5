// Loads the driver undici when it is first needed, and declares the part of it that is used.
import type { Socket } from 'node:net'
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'

/** A request, as a pool sends it. */
export interface SentRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** Ends an exchange and closes its connection. */
export interface Controller { abort (reason: Error): void }

/** Receives the response to a request, piece by piece. */
export interface ExchangeHandler {
  onRequestStart (controller: Controller): void
  onResponseStart (controller: Controller, status: number, headers: Record<string, string | string[] | undefined>): void
  onResponseData (controller: Controller, chunk: Buffer): void
  onResponseEnd (controller: Controller): void
  onResponseError (controller: Controller, error: Error): void
}

/** The connections to one origin. */
export interface Pool {
  dispatch (request: SentRequest, handler: ExchangeHandler): boolean
  destroy (): Promise<void>
}

/** Opens a socket, and calls `callback` when it is connected or has failed. */
export type Connector = (options: object, callback: (...outcome: readonly unknown[]) => void) => Socket

/** The part of undici that this backend uses. */
export interface Driver {
  readonly Pool: new (origin: string, options: object) => Pool
  readonly buildConnector: (options: { timeout: number }) => Connector
}

const PACKAGE = 'undici'

/** Loads the driver. Throws CACHE_ERR_DEPENDENCY_MISSING if undici is not installed. */
export async function loadDriver (load: () => Promise<unknown> = () => import('undici')): Promise<Driver> {
  return await load().catch((cause: unknown) => {
    throw new CACHE_ERR_DEPENDENCY_MISSING('http', PACKAGE, `run npm install ${PACKAGE}`, { cause })
  }) as Driver
}
