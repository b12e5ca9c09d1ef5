// A child process: one server, which tells its port and, when asked, the CPU time that it has used.
import type { AddressInfo } from 'node:net'
import { start } from './answers.js'

const server = await start(process.argv[2] as string)
process.on('message', () => process.send!({ cpu: process.cpuUsage() }))
process.on('disconnect', () => process.exit())
process.send!({ port: (server.address() as AddressInfo).port })
