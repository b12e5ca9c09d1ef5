// Loads the driver undici when it is first needed.
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'

/** The part of undici that this backend uses. */
export type Driver = Pick<typeof import('undici'), 'Pool' | 'buildConnector'>

const PACKAGE = 'undici'

/** Loads the driver. Throws CACHE_ERR_DEPENDENCY_MISSING if undici is not installed. */
export async function loadDriver (load: () => Promise<unknown> = () => import('undici')): Promise<Driver> {
  return await load().catch((cause: unknown) => {
    throw new CACHE_ERR_DEPENDENCY_MISSING('http', PACKAGE, `run npm install ${PACKAGE}`, { cause })
  }) as Driver
}
