import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SRC = join(ROOT, 'src')

/** The list that people read is the list that is held: it stands in docs/architecture.md, one part a line. */
const ORDER = importOrder(readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8'))

interface Import {
  /** Path of the importing file, from the root. */
  readonly file: string
  readonly specifier: string
  /** Erased by the compiler: `import type`. */
  readonly isType: boolean
  /** Re-export: `export … from`. */
  readonly isReExport: boolean
}

const FILES = typeScriptFiles(SRC)
const IMPORTS = FILES.flatMap(importsOf)

describe('imports point toward the packet', () => {
  test('the order in docs/architecture.md names each folder of src, and nothing else', () => {
    const parts = readdirSync(SRC, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.name.endsWith('.ts'))
      .map((entry) => entry.name.replace(/\.ts$/, ''))
    expect([...ORDER].sort()).toEqual(parts.sort())
  })

  test('no part imports one that comes after it', () => {
    const forward = localImports().filter(
      ({ file, target }) => ORDER.indexOf(partOf(target)) > ORDER.indexOf(partOf(file)),
    )
    expect(forward.map(({ file, target }) => `${file} imports ${target}`)).toEqual([])
  })

  test('no file imports itself by a detour', () => {
    const targets = new Map<string, string[]>()
    for (const { file, target, isType } of localImports()) {
      if (!isType) targets.set(file, [...(targets.get(file) ?? []), target])
    }
    expect(cycleIn(targets)).toEqual([])
  })

  test('only the entry points know the composition root', () => {
    const knowers = localImports()
      .filter(({ file, target }) => partOf(target) === 'topology' && partOf(file) !== 'topology')
      .map(({ file }) => file)
    expect([...new Set(knowers)]).toEqual(['src/start.ts'])
    const workers = typeScriptFiles(join(ROOT, 'workers')).flatMap(importsOf)
    expect(workers.map(({ specifier }) => specifier).sort()).toEqual([
      '../src/topology/receiver-loop.ts',
      '../src/topology/shard-loop.ts',
    ])
  })

  test.each([
    ['shard', ['config', 'cli', 'report', 'sources', 'dispatch', 'demo']],
    ['receiver', ['config', 'cli', 'report', 'reassembly', 'http', 'exchange', 'sinks', 'demo']],
  ])('a thread loads neither options, command line, reports nor the stages of others: %s', (name, others) => {
    const targets = new Map<string, string[]>()
    for (const { file, target, isType } of localImports()) {
      if (!isType) targets.set(file, [...(targets.get(file) ?? []), target])
    }
    const loaded = new Set<string>()
    const visit = (file: string): void => {
      if (loaded.has(file)) return
      loaded.add(file)
      for (const target of targets.get(file) ?? []) visit(target)
    }
    visit(`src/topology/${name}-loop.ts`)
    const parts = new Set([...loaded].map(partOf))
    for (const part of others) expect(parts).not.toContain(part)
  })
})

describe('files', () => {
  test('a name is imported from the file that owns it: no re-exports, no index files', () => {
    expect(
      IMPORTS.filter(({ isReExport }) => isReExport).map(({ file, specifier }) => `${file} re-exports ${specifier}`),
    ).toEqual([])
    expect(FILES.filter((file) => file.endsWith('/index.ts'))).toEqual([])
  })

  test('local imports name a file that exists, with its extension', () => {
    expect(localImports().filter(({ target }) => !existsSync(join(ROOT, target)))).toEqual([])
  })

  test('every folder of src says what it is in a README.md', () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const silent = folders.filter(({ name }) => !existsSync(join(SRC, name, 'README.md')))
    expect(silent.map(({ name }) => `src/${name}`)).toEqual([])
  })
})

describe('dependencies', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string> | undefined
  >
  const runtime = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
  const development = Object.keys(manifest.devDependencies ?? {})

  test('each has its reason in CONTRIBUTING.md, and no reason outlives its dependency', () => {
    const section = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8').split('## Why each dependency')[1] ?? ''
    const rows = section.matchAll(/^\| `([^`]+)` \| [^|]*\S[^|]* \|$/gm)
    expect([...rows].map((row) => row[1]).sort()).toEqual([...runtime, ...development].sort())
  })

  test('are pinned: exact versions in the manifest, a hash for each package in the lockfile', () => {
    const versions = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies }
    expect(Object.entries(versions).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version: string; integrity?: string }>
    }
    const { '': _ourselves, ...others } = packages
    expect(Object.keys(others).length).toBeGreaterThan(runtime.length + development.length)
    expect(Object.keys(others).filter((path) => !others[path]!.integrity?.startsWith('sha512-'))).toEqual([])
    expect(Object.keys(versions).filter((name) => others[`node_modules/${name}`]?.version !== versions[name])).toEqual(
      [],
    )
  })

  test('the test runner writes no colours where nobody sees them: each script that calls it says so', () => {
    const scripts = Object.entries(manifest.scripts ?? {}).filter(([, line]) => /\bvitest\b/.test(line))
    expect(scripts.map(([name]) => name)).toEqual(['test', 'test:faults'])
    for (const [, line] of scripts) expect(line.split('vitest')[0]).toContain('[ -t 1 ] || export NO_COLOR=1;')
  })

  test('each that is installed with the product is loaded somewhere in src', () => {
    const texts = FILES.map((file) => readFileSync(join(ROOT, file), 'utf8'))
    const unused = runtime.filter((name) => !texts.some((text) => text.includes(`'${name}'`)))
    expect(unused).toEqual([])
  })

  test('src loads nothing that is not declared', () => {
    const packages = IMPORTS.map(({ specifier }) => specifier).filter(
      (s) => !s.startsWith('.') && !s.startsWith('node:'),
    )
    expect(packages.filter((name) => !runtime.includes(name))).toEqual([])
  })
})

function importOrder(text: string): string[] {
  const block = /<!-- import order -->\n```\n([^`]*)```/.exec(text)?.[1] ?? ''
  return block
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[0]!.replace(/\.ts$/, ''))
    .filter((name) => name !== '')
}

function typeScriptFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => relative(ROOT, join(folder, name)))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const statements = text.matchAll(/^(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)
  const dynamic = text.matchAll(/\bimport\('([^']+)'\)/g)
  return [
    ...[...statements].map(([, keyword, type, specifier]) => ({
      file,
      specifier: specifier!,
      isType: type !== undefined,
      isReExport: keyword === 'export',
    })),
    ...[...dynamic].map(([, specifier]) => ({ file, specifier: specifier!, isType: false, isReExport: false })),
  ]
}

function localImports(): (Import & { readonly target: string })[] {
  return IMPORTS.filter(({ specifier }) => specifier.startsWith('.')).map((i) => ({
    ...i,
    target: relative(ROOT, resolve(ROOT, dirname(i.file), i.specifier)),
  }))
}

/** `src/ring/ring.ts` → `ring`, `src/main.ts` → `main`. */
function partOf(file: string): string {
  return file.split('/')[1]!.replace(/\.ts$/, '')
}

/** The files of one cycle, in order; empty where there is none. */
function cycleIn(targets: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const target of targets.get(file) ?? []) {
      const cycle = walk(target, [...path, file])
      if (cycle.length > 0) return cycle
    }
    done.add(file)
    return []
  }
  for (const file of targets.keys()) {
    const cycle = walk(file, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
