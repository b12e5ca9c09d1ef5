// A process that starts background tasks, waits for one run, and never closes them.
import { Background } from '../../../registry/background.js'

const background = new Background({ warn () {} })
background.every('forever', 1, () => {})
const keepAlive = setTimeout(() => {}, 60_000)
background.every('once', 1, () => {
  console.log('ran')
  clearTimeout(keepAlive)
  return new Promise(() => {})
})
