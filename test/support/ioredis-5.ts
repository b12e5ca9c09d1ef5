// Makes the backend `redis` use ioredis 5, as it does in an application that overrides the version. To be imported before one is opened.
import Module from 'node:module'

const modules = Module as unknown as { _resolveFilename (request: string, ...others: unknown[]): string }
const resolve = modules._resolveFilename.bind(Module)
modules._resolveFilename = (request, ...others) => resolve(request === 'ioredis' ? 'ioredis-5' : request, ...others)
