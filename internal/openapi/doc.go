// Package openapi describes the API to those who call it: openapi.yaml, written
// first and by hand, and a page for people that is made from it.
//
//	GET /openapi.yaml, /openapi.json  the description, for tools
//	GET /docs                         the description, for people
//	GET /problems/{problem}           to a problem's place on the page
//
// The page is HTML of our own: one file, no script, nothing loaded from anywhere.
// It is made of the operations, the objects they send and answer, and the
// problems, each with its anchor: an operation's id, an object's name, the last
// part of a problem's type. What the page can show is what openapi.yaml uses of
// OpenAPI; tests fail when it uses more.
//
// That the description is true is the business of internal/testenv/contract,
// which holds the answers of running servers against it.
package openapi
