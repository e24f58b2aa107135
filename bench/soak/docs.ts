export function writeDocs(_f: readonly string[], _s: (line: string) => void): void {}
