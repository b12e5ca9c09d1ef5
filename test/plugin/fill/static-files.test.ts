// Files of @fastify/static are the same with the cache and without it, over real sockets.
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import fastifyStatic from '@fastify/static'
import t from 'tap'
import { forEachBackend } from '../../support/app.js'
import { CHANGED_AT, compared, EACH, PAGE, VALIDATED, type Setup } from '../../support/compared.js'
import { inTurn } from '../../support/size.js'

/** A folder with pages, one of them in several encodings. */
function folder (): string {
  const root = mkdtempSync(join(tmpdir(), 'response-cache-files-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  mkdirSync(join(root, 'sub'))
  const files = {
    'page.html': PAGE,
    'page.html.br': brotliCompressSync(PAGE),
    'page.html.gz': gzipSync(PAGE),
    'empty.txt': '',
    'bytes.bin': Buffer.from([1, 0, 255]),
    'sub/index.html': 'index'
  }
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(root, name), content)
    utimesSync(join(root, name), CHANGED_AT, CHANGED_AT)
  }
  return root
}

const root = folder()

const files: Record<string, Setup> = {
  'reply.sendFile()': {
    async routes (app, cache) {
      await app.register(fastifyStatic, { root, serve: false, preCompressed: true })
      app.get<{ Params: { '*': string } }>('/*', { config: { cache } }, (request, reply) => reply.sendFile(request.params['*']))
    }
  },
  'its own routes': {
    // They take no options of this plugin: a hook of the application opts them in.
    before: (app, cache) => app.addHook('onRoute', (route) => { route.config = Object.assign(route.config ?? {}, { cache }) }),
    routes: async (app) => await app.register(fastifyStatic, { root, preCompressed: true })
  }
}

/** In reduced size, each of the ways runs once. */
const PAIRS = EACH.flatMap((each) => inTurn(Object.entries(files)).map((way) => [...each, ...way] as const))

for (const [where, cache, via, name, setup] of PAIRS) {
  t.test(`${where}: files by ${name}, also precompressed and missing ones`, async (t) => forEachBackend(t, async (t, on) => {
    const urls = ['/page.html', '/empty.txt', '/bytes.bin', '/sub/index.html', '/missing.html']
    const seen = await compared(t, on, { setup, cache, urls, via })
    for (const one of [...VALIDATED, 'GET 404 fwd=miss; detail=hijacked']) t.ok(seen.has(one), one)
  }))
}
