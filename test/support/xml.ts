// Checks whether a text is well-formed XML, as far as our drawings need it.

/** What is wrong with it, one sentence each. */
export function wrongXml (xml: string): string[] {
  const wrong: string[] = []
  const open: string[] = []
  const rest = xml.replace(/<(\/?)([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_, closing: string, name: string, _attributes, empty: string) => {
      if (closing === '/') {
        const last = open.pop()
        if (last !== name) wrong.push(`</${name}> closes <${last ?? 'nothing'}>`)
      } else if (empty === '') open.push(name)
      return ''
    })
  if (open.length > 0) wrong.push(`not closed: ${open.join(', ')}`)
  for (const [bad] of rest.matchAll(/[<>]|&(?!#\d+;|(?:amp|lt|gt|quot|apos);)/g)) wrong.push(`a bare ${bad}`)
  return wrong
}
