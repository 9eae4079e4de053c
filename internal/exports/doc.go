// Package exports reads the files that the provider delivers: the feeds of its
// Scheduled Data Exports (transactions, in-app currency) and customer lists. It
// turns their rows into facts and knows none of our tables.
//
//	Find               paths, globs, folders, file://, s3:// -> files in the order of their dates
//	OpenTransactions   one file -> economy.PurchaseFact by economy.PurchaseFact
//	OpenCurrency       one file -> the provider's ledger, row by row
//	OpenCustomers      one file -> App User IDs
//
// A column is found by the header's name, never by its place: templates 3 to 7 and
// feeds with chosen columns are all the same to it. Comma or semicolon, gzip or not,
// CSV or Parquet is told from the bytes, not from the name of the file.
//
// Nothing is held but the row at hand and a bounded buffer, whatever the size of the
// file. What cannot be read is told with file, line and remedy: a *RowError costs one
// row, a *FileError ends the file.
//
// Sources of the format: RevenueCat docs, Scheduled Data Exports (templates 3 to 7,
// Transactions feed, In-App Currency feed) and Customer Lists.
package exports
