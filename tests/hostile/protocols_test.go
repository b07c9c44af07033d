package hostile

// protocols are tables that say of themselves what nobody can obey.
func protocols() map[string]func(f *fixture) {
	says := func(lines ...string) func(f *fixture) {
		return func(f *fixture) {
			data := longs(1, 2)
			f.put("part-0.parquet", data)
			f.commit(0, append(lines, add("part-0.parquet", int64(len(data)), 2))...)
		}
	}
	reader := func(feature string) string {
		return `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["` + feature + `"],"writerFeatures":["` + feature + `"]}}`
	}
	return map[string]func(f *fixture){
		"unknown-feature": says(reader("quantumVectors"), metadata(schemaX)),
		"version-99":      says(`{"protocol":{"minReaderVersion":99,"minWriterVersion":99}}`, metadata(schemaX)),
		"three-below-7":   says(`{"protocol":{"minReaderVersion":3,"minWriterVersion":2,"readerFeatures":[]}}`, metadata(schemaX)),
		"no-metadata":     says(protocolPlain),
		"two-protocols":   says(reader("quantumVectors"), protocolPlain, metadata(schemaX)),
		"two-metadata":    says(protocolPlain, metadata(schemaXY), metadata(schemaX)),
		"catalog-managed": says(reader("catalogManaged"), metadata(schemaX)),
		"negative":        says(`{"protocol":{"minReaderVersion":-1,"minWriterVersion":-2147483648}}`, metadata(schemaX)),
	}
}
