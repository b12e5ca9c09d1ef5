// Other caches in front of an application: nginx and Varnish on free ports, killed when the test ends.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { env } from './programs.js'
import { until } from './redis-server.js'
import { ServerProcess } from './server-process.js'

/** A proxy. */
export class Proxy extends ServerProcess {
  readonly port: number
  /** The folder with its cache and its logs. */
  readonly folder: string

  constructor (port: number, folder: string) {
    super()
    this.port = port
    this.folder = folder
  }

  get origin (): string { return `http://127.0.0.1:${this.port}` }

  /** Its error log. */
  get errors (): string { return readFileSync(join(this.folder, 'error.log'), 'utf8') }

  async start (program: string, args: readonly string[]): Promise<this> {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env })
    let said = ''
    child.stderr.on('data', (chunk) => { said += String(chunk) })
    this.runs(child)
    await until(`${program} on port ${this.port} takes connections`, async () => {
      if (child.exitCode !== null) throw new Error(`${program} ended with exit code ${child.exitCode}: ${said}`)
      return await new Promise<boolean>((resolve) => {
        const socket = connect(this.port, '127.0.0.1', () => { socket.destroy(); resolve(true) }).on('error', () => resolve(false))
      })
    })
    return this
  }
}

async function proxyFor (t: Test): Promise<Proxy> {
  const proxy = new Proxy(await freePort(), mkdtempSync(join(tmpdir(), 'proxy-')))
  t.teardown(async () => {
    await proxy.kill()
    rmSync(proxy.folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return proxy
}

/** nginx, which forwards everything to `port` with the directives in `location`; its cache zone is `stored`. One process. */
export async function startNginx (t: Test, port: number, location: string): Promise<Proxy> {
  const proxy = await proxyFor(t)
  const folder = (name: string): string => join(proxy.folder, name)
  for (const name of ['cache', 'temp']) mkdirSync(folder(name))
  const temporary = [
    'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'
  ].map((name) => `${name}_temp_path ${folder('temp')}/${name};`).join('\n')
  writeFileSync(folder('nginx.conf'), `
daemon off;
master_process off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder('nginx.pid')};
error_log ${folder('error.log')} notice;
events { worker_connections 64; }
http {
  access_log off;
  ${temporary}
  proxy_cache_path ${folder('cache')} keys_zone=stored:1m max_size=64m;
  server {
    listen 127.0.0.1:${proxy.port};
    location / {
      proxy_pass http://127.0.0.1:${port};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      ${location}
    }
  }
}
`)
  return await proxy.start('nginx', ['-p', proxy.folder, '-e', folder('error.log'), '-c', folder('nginx.conf')])
}

/** Varnish in front of `port`; `vcl` follows the definition of the backend. */
export async function startVarnish (t: Test, port: number, vcl: string): Promise<Proxy> {
  const proxy = await proxyFor(t)
  const file = join(proxy.folder, 'default.vcl')
  writeFileSync(file, `vcl 4.1;\nbackend default { .host = "127.0.0.1"; .port = "${port}"; }\n${vcl}\n`)
  const work = join(proxy.folder, 'work')
  return await proxy.start('varnishd', ['-F', '-j', 'none', '-n', work, '-a', `127.0.0.1:${proxy.port}`, '-f', file, '-s', 'malloc,32m'])
}
