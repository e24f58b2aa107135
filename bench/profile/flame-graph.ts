/** A flame graph: time from left to right, callers below what they call. A frame's width is its share of the time, its title tells all. */
import { element, escapeXml, svgDocument, textElement } from '../support/svg.ts'
import type { FlameNode, Frame, Kind } from './aggregate.ts'

const WIDTH = 1200
const MARGIN = 16
const ROW = 18
const CHARACTER = 6.1
/** Narrower frames are not drawn: nobody could point at them. */
const LEAST_WIDTH = 0.4
const INK = '#1c2430'
const MUTED = '#5a6675'

const COLOURS: Readonly<Record<Kind, { readonly fill: string; readonly name: string }>> = {
  ours: { fill: '#f2a65a', name: 'mirrorshard' },
  package: { fill: '#b8a1d9', name: 'packages' },
  node: { fill: '#8fbfe0', name: 'Node' },
  gc: { fill: '#d9605b', name: 'garbage collector' },
  native: { fill: '#ccd3da', name: 'native, system' },
}

export function drawFlameGraph(root: FlameNode, title: string, footnotes: readonly string[]): string {
  const drawn: string[] = []
  const levels = depthOf(root)
  const top = 62
  const bottom = top + levels * ROW
  const scale = (WIDTH - 2 * MARGIN) / Math.max(1, root.totalUs)
  const draw = (node: FlameNode, x: number, level: number): void => {
    let childX = x
    for (const child of [...node.children.values()].sort((a, b) => b.totalUs - a.totalUs)) {
      const width = child.totalUs * scale
      if (width >= LEAST_WIDTH) {
        drawn.push(frame(child, root.totalUs, childX, bottom - (level + 1) * ROW, width))
        draw(child, childX, level + 1)
      }
      childX += width
    }
  }
  draw(root, MARGIN, 0)
  const notes = footnotes.map((note, i) =>
    textElement(MARGIN, bottom + 22 + i * 15, note, { 'font-size': 10.5, fill: MUTED }),
  )
  const content = [
    textElement(MARGIN, 26, title, { 'font-size': 16, 'font-weight': 'bold', fill: INK }),
    legend(),
    ...drawn,
    ...notes,
  ].join('\n')
  return svgDocument(WIDTH, bottom + 20 + footnotes.length * 15 + 10, title, content)
}

/** `parse src/http/head.js:21, 3.1 % of 1,234 ms, itself 1.2 %`. */
export function describeFrame({ frame, selfUs, totalUs }: FlameNode, allUs: number): string {
  const percent = (us: number) => `${((us / allUs) * 100).toFixed(1)} %`
  return `${named(frame)}, ${percent(totalUs)} (${(totalUs / 1000).toFixed(1)} ms), itself ${percent(selfUs)}`
}

function named({ name, place }: Frame): string {
  return place === '' ? name : `${name} ${place}`
}

function frame(node: FlameNode, allUs: number, x: number, y: number, width: number): string {
  const title = element('title', {}, escapeXml(describeFrame(node, allUs)))
  const { fill } = COLOURS[node.frame.kind]
  const rect = element('rect', { x, y, width: Math.max(LEAST_WIDTH, width - 0.5), height: ROW - 1, fill, rx: 1 })
  const room = Math.floor((width - 6) / CHARACTER)
  const label =
    room >= 4 ? textElement(x + 3, y + 12.5, clipped(node.frame.name, room), { 'font-size': 10.5, fill: INK }) : ''
  return element('g', {}, title + rect + label)
}

function clipped(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}

function legend(): string {
  let x = MARGIN
  return Object.values(COLOURS)
    .map(({ fill, name }) => {
      const one =
        element('rect', { x, y: 36, width: 12, height: 12, fill }) +
        textElement(x + 17, 46, name, { 'font-size': 11, fill: MUTED })
      x += 17 + name.length * 6.6 + 20
      return one
    })
    .join('')
}

function depthOf(node: FlameNode): number {
  return Math.max(0, ...[...node.children.values()].map((child) => 1 + depthOf(child)))
}
