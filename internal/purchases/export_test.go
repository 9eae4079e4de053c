package purchases

// AppendFact lets a test compare.
var AppendFact = appendFact
