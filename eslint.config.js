import neostandard from 'neostandard'

const LINES = {
  code: 140,
  ignoreUrls: true,
  ignoreRegExpLiterals: true,
  // A line that is one text, template or regular expression can't be broken; with a name before it where it is too long by itself.
  ignorePattern: '^ *(?:(?:return|[?:]|(?:[\\w$]+|\'[^\']*\'):) (?=.{128}))?(?:([\'"])(?:(?!\\1)[^\\\\]|\\\\.)*\\1|`.*`|/(?![/*]).*/[a-z]*)[,)\\]}:]*(?: \\+)?$'
}

const lines = (exceptions) => ({ '@stylistic/max-len': ['error', { ...LINES, ...exceptions }] })

export default [
  ...neostandard({ ts: true, ignores: ['dist', 'docs/api', '.tap', '.nodes', 'node_modules', 'test/outsider'] }),
  { rules: lines({}) },
  // Tables of texts by name.
  { files: ['**/breakages/*messages.ts'], rules: lines({ ignoreStrings: true }) },
  // Files and pages of a user, as templates.
  {
    files: ['package', 'docs-broken', 'range-clients', 'sqlite-table'].map((name) => `**/${name}.test.ts`),
    rules: lines({ ignoreTemplateLiterals: true })
  }
]
