// The API reference: every exported name, option and method has a sentence.
import { join } from 'node:path'
import t from 'tap'
import { Application, Logger, LogLevel, TSConfigReader, TypeDocReader } from 'typedoc'
import { root } from './support/sources.js'

class Warnings extends Logger {
  readonly messages: string[] = []
  protected override addContext (...[message]: Parameters<Logger['addContext']>): string { return message }
  override log (message: string, level: LogLevel): void {
    if (level >= LogLevel.Warn) this.messages.push(message)
  }
}

/** The warnings of the reference with these settings, and the names whose comment is not a sentence. */
async function warningsWith (options: string): Promise<string[]> {
  const app = await Application.bootstrap({ options }, [new TypeDocReader(), new TSConfigReader()])
  const warnings = app.logger = new Warnings()
  const project = await app.convert()
  if (project === undefined) throw new Error(warnings.messages.join('\n'))
  app.validate(project)
  const commented = Object.values(project.reflections).filter(({ comment }) => comment !== undefined)
  const notSentences = commented.filter(({ comment }) => !/[.:`]\)?$/.test(comment!.summary.map(({ text }) => text).join('').trim()))
  return [...warnings.messages, ...notSentences.map((reflection) => `${reflection.getFullName()} has a comment that is not a sentence`)]
}

t.test('docs: every exported name, option and method is described, for both entry points', async (t) => {
  t.same(await warningsWith(join(root, 'typedoc.json')), [])
})

t.test('docs: a name without a sentence and a type that is left out cause warnings', async (t) => {
  const folder = t.testdir({
    'typedoc.json': JSON.stringify({ extends: [join(root, 'typedoc.json')], entryPoints: ['a.ts'], tsconfig: 'tsconfig.json' }),
    'tsconfig.json': JSON.stringify({ compilerOptions: { target: 'es2023', module: 'nodenext', types: [] }, files: ['a.ts'] }),
    'a.ts': 'interface Hidden { value: number }\n/** Options. */\nexport interface Options {\n  /** */ first: number\n  second: Hidden\n}\nexport const third = 3\n/** no sentence */\nexport const fourth = 4\n'
  })
  const messages = (await warningsWith(join(folder, 'typedoc.json'))).join('\n')
  for (const name of ['Options.first', 'Options.second', 'third']) {
    t.match(messages, new RegExp(`^${name.replace('.', '\\.')} \\(\\w+\\), .* does not have any documentation$`, 'm'))
  }
  t.match(messages, /^Hidden, .* is referenced by Options\.second/m)
  t.match(messages, /^fourth has a comment that is not a sentence$/m)
})
