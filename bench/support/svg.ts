/** SVG as text: elements with escaped attributes and content. */

export type Attributes = Readonly<Record<string, string | number>>

/** One element. @param content elements already written, not escaped again: text goes through `text` or `escapeXml` */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? number(value) : escapeXml(value)}"`)
    .join('')
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`
}

export function textElement(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeXml(content))
}

/** A whole document on a white ground: it has to be readable wherever it is put. */
export function svgDocument(width: number, height: number, title: string, content: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${number(width)} ${number(height)}`,
      'font-family': 'DejaVu Sans, Verdana, Helvetica, Arial, sans-serif',
      role: 'img',
    },
    `${element('title', {}, escapeXml(title))}\n${element('rect', { width, height, fill: '#ffffff' })}\n${content}\n`,
  )}\n`
}

/** Characters that XML 1.0 does not allow at all become U+FFFD (section 2.2). */
export function escapeXml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
}

/** Two decimals are less than a pixel of any screen. */
function number(n: number): string {
  return String(Math.round(n * 100) / 100)
}
