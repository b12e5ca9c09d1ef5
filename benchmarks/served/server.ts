// A child process: one server. It reports its port and, on request, the CPU time that it has used.
import type { AddressInfo } from 'node:net'
import { start } from './contestants.js'

const server = await start(process.argv[2] as string)
process.on('message', () => process.send!({ cpu: process.cpuUsage() }))
process.on('disconnect', () => process.exit())
process.send!({ port: (server.address() as AddressInfo).port })
