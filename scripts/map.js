// npm run map [-- PATH]: prints the first line of every source file, which says what lives there, room by room.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './prepare.js'

const [path = '.'] = process.argv.slice(2)
const files = execFileSync('git', ['ls-files', '--', path], { cwd: root, encoding: 'utf8' })
  .split('\n').filter((file) => /\.[jt]s$/.test(file))

/** The comment at the start of a file, without its slashes. */
function firstLine (file) {
  const lines = readFileSync(join(root, file), 'utf8').replace(/^#!.*\n/, '').split('\n')
  const end = lines.findIndex((line) => !line.startsWith('// '))
  return lines.slice(0, end).map((line) => line.slice(3)).join(' ')
}

let room
for (const file of files) {
  if (dirname(file) !== room) console.log(`\n${room = dirname(file)}/`)
  console.log(`  ${file.slice(room === '.' ? 0 : room.length + 1).padEnd(28)} ${firstLine(file)}`)
}
