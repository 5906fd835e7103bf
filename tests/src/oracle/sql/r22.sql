--@ heard AS SELECT *, review_level AS code FROM l_three_level_review WHERE year = $Y AND UNTIL(reported_on) AND review_level IN ('county', 'township', 'village')
--= 1 应述职数: at village level the incumbent secretaries of villages and communities; at township level the secretary of each township's committee; of the county whoever is listed
SELECT s.ru, s.org, 1 AS v, 'village' AS code FROM secretary s JOIN org o ON o.org = s.org WHERE o.field IN ('rural', 'community')
UNION ALL SELECT ru, org, 1, 'township' FROM l_reporting_units WHERE active = 'yes' AND unit_level = 'township'
UNION ALL SELECT ru, org, 1, 'county' FROM l_three_level_review WHERE year = $Y AND review_level = 'county'
--= 2 已述职数
SELECT ru, org, 1 AS v, code FROM heard
--= 3 述职率 = 2 / 1
--= 4 有效票
SELECT ru, org, ballots + 0 AS v, code FROM heard
--= x1
SELECT ru, org, votes_good + 0 AS v, code FROM heard
--= 5 好票占比 = x1 / 4
--= 6 好
SELECT ru, org, 1 AS v, code FROM heard WHERE overall = 'good'
--= 7 较好
SELECT ru, org, 1 AS v, code FROM heard WHERE overall = 'fair'
--= 8 一般
SELECT ru, org, 1 AS v, code FROM heard WHERE overall = 'ordinary'
--= 9 差
SELECT ru, org, 1 AS v, code FROM heard WHERE overall = 'poor'
--= x2
SELECT ru, org, score_total + 0 AS v, code FROM heard WHERE score_total <> ''
--= x3
SELECT ru, org, 1 AS v, code FROM heard WHERE score_total <> ''
--= 10 平均综合得分 = x2 / x3
--= 11 列入整改数
SELECT ru, org, 1 AS v, code FROM heard WHERE rectify <> ''
