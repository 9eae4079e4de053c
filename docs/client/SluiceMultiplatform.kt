// The app's side of Sluice for Kotlin Multiplatform, with Ktor, kotlinx.serialization and
// Multiplatform Settings; Kotlin 2.2 or newer. Copy this file into commonMain and change what
// you like; docs/client/README.md says why each rule is there.
package dev.sluice.client

import com.russhwolf.settings.Settings
import io.ktor.client.HttpClient
import io.ktor.client.plugins.HttpTimeout
import io.ktor.client.request.header
import io.ktor.client.request.request
import io.ktor.client.request.setBody
import io.ktor.client.statement.bodyAsText
import io.ktor.http.ContentType
import io.ktor.http.HttpMethod
import io.ktor.http.contentType
import kotlin.coroutines.cancellation.CancellationException
import kotlin.math.min
import kotlin.math.pow
import kotlin.random.Random
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.TimeSource
import kotlin.uuid.ExperimentalUuidApi
import kotlin.uuid.Uuid
import kotlinx.coroutines.delay
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.Serializable
import kotlinx.serialization.builtins.ListSerializer
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put

/** What the app keeps of a tap until it has a final answer. */
@Serializable
data class Tap(val key: String, val item: String, val quantity: Int)

@Serializable
data class Spend(
    val id: String,
    val state: String,
    val item: String = "",
    val quantity: Int = 1,
    val cost: Map<String, Long> = emptyMap(),
    val reason: String = "",
)

/** How a tap ended. Only [Working] is not final: its key is kept, and resume() goes on. */
sealed interface Outcome {
    data class Bought(val spend: Spend) : Outcome
    data class NotEnough(val text: String) : Outcome
    data class GivenBack(val text: String) : Outcome
    data class Refused(val text: String, val problem: String) : Outcome
    data object Working : Outcome
}

private val json = Json { ignoreUnknownKeys = true }

class SluiceException(message: String) : Exception(message)

/**
 * One object for the whole app. refreshBalance, with RevenueCat's SDK for Multiplatform:
 *
 *     Purchases.sharedInstance.invalidateVirtualCurrenciesCache()
 *     balances = Purchases.sharedInstance.awaitVirtualCurrencies()
 */
class Sluice(
    private val base: String,
    player: String,
    private val settings: Settings,
    private val session: suspend (renew: Boolean) -> String, // your login's token
    private val refreshBalance: suspend () -> Unit,
) {
    private val taps = ListSerializer(Tap.serializer())
    private val place = "sluice.taps.$player"
    private val http = HttpClient { install(HttpTimeout) { requestTimeoutMillis = 45_000 } }
    private val keeping = Mutex() // of the list of taps
    private val running = mutableMapOf<String, Mutex>() // by key, so that a tap runs once at a time

    /** One tap, one key: made here, stored before the first request, forgotten after a final answer. */
    @OptIn(ExperimentalUuidApi::class)
    suspend fun spend(item: String, quantity: Int = 1): Outcome {
        val tap = Tap(Uuid.random().toString(), item, quantity)
        keeping.withLock { save(kept() + tap) }
        return finish(tap)
    }

    /** Goes on with every tap that has no final answer: call it when the app starts and when it is online again. */
    suspend fun resume(): List<Outcome> = keeping.withLock { kept() }.map { finish(it) }

    /** Brings one tap to its end. A second one waits, and hears the same: the key is the same. */
    private suspend fun finish(tap: Tap): Outcome {
        val turn = keeping.withLock { running.getOrPut(tap.key) { Mutex() } }
        return turn.withLock { pursue(tap) }.also { outcome ->
            if (outcome != Outcome.Working) keeping.withLock { running.remove(tap.key) }
        }
    }

    private suspend fun pursue(tap: Tap): Outcome {
        val until = TimeSource.Monotonic.markNow() + 1.minutes
        var accepted: String? = null // the spend's id, once it has one
        var attempt = 0
        while (true) {
            val id = accepted
            val answer = if (id != null) {
                call(HttpMethod.Get, "/spends/$id")
            } else {
                call(HttpMethod.Post, "/spend", buildJsonObject {
                    put("item", tap.item)
                    put("quantity", tap.quantity)
                    put("idempotencyKey", tap.key)
                })
            }
            val outcome = answer?.let { if (id == null) decided(it) else ended(it) }
            if (outcome != null) {
                keeping.withLock { save(kept().filter { it.key != tap.key }) }
                if (outcome is Outcome.Bought || outcome is Outcome.GivenBack) {
                    try { refreshBalance() } catch (e: CancellationException) { throw e } catch (_: Exception) { } // undoes nothing
                }
                return outcome
            }
            if (answer?.status == 202) accepted = answer.body(Told.serializer())?.spend?.id // also its Location
            val wait = pause(answer, attempt++)
            if ((until - wait.milliseconds).hasPassedNow()) return Outcome.Working
            delay(wait)
        }
    }

    /** "I bought this with money": shown as pending until RevenueCat tells of it. Call it after each purchase. */
    suspend fun claim(store: String, transactionId: String, productId: String) {
        must("/purchases/claims", buildJsonObject {
            put("store", store)
            put("transaction_id", transactionId)
            put("product_id", productId)
        })
    }

    /** Has the player's purchases read again. Call it after the SDK's own restore. */
    suspend fun restore() {
        var attempt = 0
        while (true) {
            val answer = must("/purchases/restore", null)
            if (answer.status == 200) break
            delay(pause(answer, attempt++))
        }
        refreshBalance()
    }

    @Serializable
    private data class Told(val type: String = "", val error: String = "", val spend: Spend? = null)

    private class Answer(val status: Int, val retryAfter: Double?, private val text: String) {
        fun <T> body(of: DeserializationStrategy<T>): T? = try {
            json.decodeFromString(of, text)
        } catch (unread: IllegalArgumentException) {
            null // a proxy's page
        }
    }

    /** One request; null when no answer came. A refused session is renewed once. */
    private suspend fun call(how: HttpMethod, path: String, body: JsonObject? = null): Answer? {
        for (renew in listOf(false, true)) {
            val answer = try {
                val response = http.request(base + path) {
                    method = how
                    header("Authorization", "Bearer " + session(renew))
                    if (body != null) {
                        contentType(ContentType.Application.Json)
                        setBody(body.toString())
                    }
                }
                Answer(response.status.value, response.headers["Retry-After"]?.toDoubleOrNull(), response.bodyAsText())
            } catch (gone: CancellationException) {
                throw gone
            } catch (unheard: Exception) {
                return null // offline, timed out, cut off: nobody knows whether it arrived, and the key makes a repeat safe
            }
            if (answer.status == 401 && !renew) continue
            return answer
        }
        return null
    }

    /** A call that may be repeated as it is: all of them but spends, which have their keys. */
    private suspend fun must(path: String, body: JsonObject?): Answer {
        for (attempt in 0 until 8) {
            val answer = call(HttpMethod.Post, path, body)
            if (answer != null && answer.status < 300) return answer
            if (answer != null && answer.status != 429 && answer.status != 503) {
                throw SluiceException(answer.body(Told.serializer())?.error ?: "Please try again in a moment")
            }
            delay(pause(answer, attempt))
        }
        throw SluiceException("Please try again in a moment")
    }

    /** Reads an answer to POST /spend; null: it is not final, go on with the same key. */
    private fun decided(answer: Answer): Outcome? {
        val told = answer.body(Told.serializer()) ?: Told()
        val text = told.error.ifEmpty { "Something went wrong, please try again" }
        val problem = told.type.removePrefix("https://sluice.dev/problems/")
        return when (answer.status) {
            200 -> told.spend?.let { Outcome.Bought(it) }
            402 -> Outcome.NotEnough(text)
            403 -> if (problem == "spend-refunded") Outcome.GivenBack(text) else Outcome.Refused(text, problem)
            500 -> if (problem == "item-not-handed-over") Outcome.GivenBack(text) else null
            502 -> if (problem == "provider-refused") Outcome.Refused(text, problem) else null // a proxy's own 502 decides nothing
            400, 404, 409, 413, 415 -> Outcome.Refused(text, problem)
            else -> null // 202, 401, 429, 503, and whatever a proxy says
        }
    }

    /** Reads a spend from GET /spends/{id}; null: it is still under way. */
    private fun ended(answer: Answer): Outcome? {
        if (answer.status != 200) return null
        val spend = answer.body(Spend.serializer()) ?: return null
        return when (spend.state) {
            "fulfilled" -> Outcome.Bought(spend)
            "refunded" -> Outcome.GivenBack("Your gems are back")
            "declined" ->
                if (spend.reason == "insufficient_funds") Outcome.NotEnough("Not enough gems")
                else Outcome.Refused("This purchase was refused", spend.reason)
            else -> null
        }
    }

    /** Milliseconds to wait: what Retry-After says, else longer each time, never in step with others. */
    private fun pause(answer: Answer?, attempt: Int): Long {
        val told = answer?.retryAfter ?: 0.0
        if (told > 0) return (told * 1000).toLong() + Random.nextLong(250)
        return (min(15_000.0, 500 * 2.0.pow(attempt)) * Random.nextDouble(0.5, 1.0)).toLong()
    }

    private fun kept(): List<Tap> = json.decodeFromString(taps, settings.getString(place, "[]"))

    private fun save(taps: List<Tap>) = settings.putString(place, json.encodeToString(this.taps, taps))
}
