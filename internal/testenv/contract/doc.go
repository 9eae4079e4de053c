// Package contract holds the answers of running servers against the description
// of the API, internal/openapi/openapi.yaml, in tests.
//
// Check fails a test whose exchange the description does not have: the call, its
// status, the media type, a header, a member, a problem. The description promises
// no more than what it says, so Check takes its objects as complete.
//
// RequireSeen fails a package whose tests never saw something that the description
// promises: a status of a call, one of its problems, an example.
package contract
