package postgres

import "github.com/lib/pq"

// Array makes a slice an argument for = ANY($1) and unnest($1).
func Array[T any](list []T) any { return pq.Array(list) }
