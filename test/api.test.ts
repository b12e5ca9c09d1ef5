// The API reference: every name that the package exports, every option and every method has its sentence.
import { join } from 'node:path'
import t from 'tap'
import { Application, Logger, LogLevel, TSConfigReader, TypeDocReader } from 'typedoc'
import { root } from './support/sources.js'

class Complaints extends Logger {
  readonly messages: string[] = []
  protected override addContext (...[message]: Parameters<Logger['addContext']>): string { return message }
  override log (message: string, level: LogLevel): void {
    if (level >= LogLevel.Warn) this.messages.push(message)
  }
}

/** What the reference complains of with these settings, and the names whose comment is no sentence. */
async function complaintsWith (options: string): Promise<string[]> {
  const app = await Application.bootstrap({ options }, [new TypeDocReader(), new TSConfigReader()])
  const complaints = app.logger = new Complaints()
  const project = await app.convert()
  if (project === undefined) throw new Error(complaints.messages.join('\n'))
  app.validate(project)
  const commented = Object.values(project.reflections).filter(({ comment }) => comment !== undefined)
  const notSentences = commented.filter(({ comment }) => !/[.:`]\)?$/.test(comment!.summary.map(({ text }) => text).join('').trim()))
  return [...complaints.messages, ...notSentences.map((reflection) => `${reflection.getFullName()} has a comment that is no sentence`)]
}

t.test('docs: every exported name, option and method is described, for both entry points', async (t) => {
  t.same(await complaintsWith(join(root, 'typedoc.json')), [])
})

t.test('docs: a name without a sentence, and a type that is left out, are complained of', async (t) => {
  const folder = t.testdir({
    'typedoc.json': JSON.stringify({ extends: [join(root, 'typedoc.json')], entryPoints: ['a.ts'], tsconfig: 'tsconfig.json' }),
    'tsconfig.json': JSON.stringify({ compilerOptions: { target: 'es2023', module: 'nodenext', types: [] }, files: ['a.ts'] }),
    'a.ts': 'interface Hidden { value: number }\n/** Options. */\nexport interface Options {\n  /** */ first: number\n  second: Hidden\n}\nexport const third = 3\n/** no sentence */\nexport const fourth = 4\n'
  })
  const messages = (await complaintsWith(join(folder, 'typedoc.json'))).join('\n')
  for (const name of ['Options.first', 'Options.second', 'third']) {
    t.match(messages, new RegExp(`^${name.replace('.', '\\.')} \\(\\w+\\), .* does not have any documentation$`, 'm'))
  }
  t.match(messages, /^Hidden, .* is referenced by Options\.second/m)
  t.match(messages, /^fourth has a comment that is no sentence$/m)
})
