/* Path-dependent TreeSHAP. The mathematics and the names are those of churn/treeshap.py.
 *
 * The quadrature nodes are the lanes of the vectors, two to a vector: what every 64-bit x86 and
 * ARM processor has, so that one library fits all of them and gives the same numbers on each.
 * The nodes of a tree are its splits, parents first, and then its leaves: what a walk stores
 * stays in the processor's first cache, and leaves are met once. No memory is allocated, and
 * nothing is called: the library needs no C library.
 */
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define ROWS 8 /* explained together, so that a tree is read from memory once for all of them */

typedef double lanes __attribute__((vector_size(16), aligned(8)));

typedef struct {
    int32_t parent, previous; /* counted from the tree's root */
    int32_t column, is_right;
    double unknown;        /* z of the edge into the node */
    double unknown_before; /* z of the previous edge of the column; 1 when there is none */
    double value;          /* of a leaf, over the number of trees */
    float threshold;
    int32_t padding;
} Node;
_Static_assert(sizeof(Node) == 48, "the records that churn/native/__init__.py makes");

typedef struct {
    const lanes *point, *rest, *weight; /* t, 1 - t, and the weight of the quadrature */
    lanes *product, *sum, *inverse;     /* P, S and 1 / f of each split */
    double *satisfied;                  /* o of each split */
} Work;

/* `before` if the row takes this edge, else 0. No branch: which way a row goes cannot be predicted. */
INLINE double satisfied(double before, const float *row, const Node *node)
{
    union { double number; uint64_t bits; } kept = {before};
    kept.bits &= -(uint64_t)((row[node->column] <= node->threshold) ^ node->is_right);
    return kept.number;
}

INLINE void down(const int pairs, const Node *tree, int splits, const float *row, Work w)
{
    w.satisfied[0] = 1;
    for (int q = 0; q < pairs; q++) {
        w.product[q] = w.weight[q];
        w.inverse[q] = (lanes){1, 1};
        w.sum[q] = (lanes){0, 0};
    }
    for (int64_t i = 1; i < splits; i++) {
        const Node *node = tree + i;
        const int64_t parent = (int64_t)node->parent * pairs, previous = (int64_t)node->previous * pairs;
        const double o = satisfied(w.satisfied[node->previous], row, node), z = node->unknown;
        w.satisfied[i] = o;
        for (int q = 0; q < pairs; q++) {
            const lanes factor = z * w.rest[q] + o * w.point[q];
            const lanes product = w.product[parent + q] * (factor * w.inverse[previous + q]);
            w.product[i * pairs + q] = product;
            w.inverse[i * pairs + q] = 1 / factor;
            w.sum[i * pairs + q] = (lanes){0, 0};
        }
    }
}

INLINE void leaves(const int pairs, const Node *tree, int splits, int nodes, const float *row, Work w, lanes *gain)
{
    for (int64_t i = splits > 1 ? splits : 1; i < nodes; i++) {
        const Node *node = tree + i;
        const int64_t parent = (int64_t)node->parent * pairs, previous = (int64_t)node->previous * pairs;
        const double before = w.satisfied[node->previous], o = satisfied(before, row, node), z = node->unknown;
        const double now = o - z, then = before - node->unknown_before;
        lanes *column = gain + (int64_t)node->column * pairs;
        for (int q = 0; q < pairs; q++) {
            const lanes factor = z * w.rest[q] + o * w.point[q], inverse = w.inverse[previous + q];
            const lanes product = node->value * w.product[parent + q] * inverse;
            const lanes sum = w.sum[parent + q] + product * factor;
            const lanes total = column[q] + product * (now - then * (factor * inverse));
            w.sum[parent + q] = sum;
            column[q] = total;
        }
    }
}

INLINE void up(const int pairs, const Node *tree, int splits, Work w, lanes *gain)
{
    for (int64_t i = splits - 1; i > 0; i--) {
        const Node *node = tree + i;
        const int64_t parent = (int64_t)node->parent * pairs, previous = (int64_t)node->previous * pairs;
        const double now = w.satisfied[i] - node->unknown;
        const double then = w.satisfied[node->previous] - node->unknown_before;
        lanes *column = gain + (int64_t)node->column * pairs;
        for (int q = 0; q < pairs; q++) {
            const lanes below = w.sum[i * pairs + q];
            const lanes sum = w.sum[parent + q] + below;
            const lanes slope = now * w.inverse[i * pairs + q] - then * w.inverse[previous + q];
            const lanes total = column[q] + slope * below;
            w.sum[parent + q] = sum;
            column[q] = total;
        }
    }
}

INLINE void explain(const int pairs, const Node *tree, int splits, int nodes, const float *matrix, int rows,
                    int columns, Work work, lanes *gain)
{
    for (int row = 0; row < rows; row++, matrix += columns, gain += (int64_t)columns * pairs) {
        down(pairs, tree, splits, matrix, work);
        leaves(pairs, tree, splits, nodes, matrix, work, gain);
        up(pairs, tree, splits, work, gain);
    }
}

#define CASE(PAIRS) \
    case PAIRS: explain(PAIRS, tree, splits, count, matrix, block, columns, work, gain); break

/* Contributions of the columns, double [rows, columns].
 *
 * first: of each tree, its first node, and at last the number of nodes; splits: of each tree.
 * quadrature: double [3, 2 * pairs]. scratch: doubles, `(3 * most + 8 * columns) * 2 * pairs + most`
 * of them, where `most` is the largest number of splits of a tree, at least 1.
 */
__attribute__((visibility("default")))
void churn_treeshap(const Node *nodes, const int32_t *first, const int32_t *splits_of, int32_t trees, int32_t most,
                    const double *quadrature, int32_t pairs, const float *matrix, int64_t rows, int32_t columns,
                    double *scratch, double *result)
{
    const lanes *rule = (const lanes *)quadrature;
    lanes *gain = (lanes *)scratch, *splits_work = gain + (int64_t)ROWS * columns * pairs;
    const int64_t size = (int64_t)most * pairs;
    const Work work = {rule, rule + pairs, rule + 2 * pairs, splits_work, splits_work + size, splits_work + 2 * size,
                       (double *)(splits_work + 3 * size)};
    for (; rows > 0; rows -= ROWS, matrix += (int64_t)ROWS * columns, result += (int64_t)ROWS * columns) {
        const int block = rows < ROWS ? (int)rows : ROWS;
        const int64_t cells = (int64_t)block * columns;
        for (int64_t i = 0; i < cells * pairs; i++) gain[i] = (lanes){0, 0};
        for (int32_t t = 0; t < trees; t++) {
            const Node *tree = nodes + first[t];
            const int splits = splits_of[t], count = first[t + 1] - first[t];
            switch (pairs) { /* a known number of lanes keeps them in registers */
                CASE(1); CASE(2); CASE(3); CASE(4); CASE(5); CASE(6); CASE(7); CASE(8);
            default: explain(pairs, tree, splits, count, matrix, block, columns, work, gain);
            }
        }
        for (int64_t cell = 0; cell < cells; cell++) {
            lanes total = {0, 0};
            for (int q = 0; q < pairs; q++) total += gain[cell * pairs + q];
            result[cell] = total[0] + total[1];
        }
    }
}
