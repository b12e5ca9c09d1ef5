import neostandard from 'neostandard'

export default neostandard({ ts: true, ignores: ['dist', 'docs/api', '.tap', 'node_modules', 'test/outsider'] })
